"""Runs on the board, under Debian's Python alone: `isotp_peer.py INTERFACE TARGET HEX...` asks an ECU for these.

The kernel's ISO-TP sockets are the other side of ours. Each answer is printed in hex.
"""

import socket
import sys

TESTER = 0xF3
EFF = 0x8000_0000
BASE = 0x1CDA_0000  # ISO 15765-2, normal fixed addressing, in our priority
ANSWER_S = 60
PENDING = 0x78


def ask(interface: str, target: int, requests: list[str]) -> None:
    """One request after the other; an ECU that asks for time gets it."""
    with socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP) as line:
        line.bind((interface, EFF | BASE | TESTER << 8 | target, EFF | BASE | target << 8 | TESTER))
        line.settimeout(ANSWER_S)
        for request in requests:
            line.send(bytes.fromhex(request))
            answer = line.recv(4_095)
            while len(answer) == 3 and answer[0] == 0x7F and answer[2] == PENDING:
                answer = line.recv(4_095)
            print(answer.hex(), flush=True)


if __name__ == "__main__":
    ask(sys.argv[1], int(sys.argv[2], 0), sys.argv[3:])
