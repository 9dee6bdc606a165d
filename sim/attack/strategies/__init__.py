"""What attackers do, file by file: each strategy really acts, with the keys and from the place it declares."""
