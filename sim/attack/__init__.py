"""The attack tables of the papers, executed: attackers with stolen keys against the shipping code, judged by truth."""
