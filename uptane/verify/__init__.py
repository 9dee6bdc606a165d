"""Every check of the Standard, once, and the order in which it runs them: pure, told the time, the keys and the octets.

threshold     enough distinct keys over the very octets: the only maker of Verified
signing       the other end of it: sign, countersign
trusted       what a repository has proved to an ECU (Trusted), and all an ECU holds (Held)
root          check_root: one link of a Root chain
keys          lists of keys: nobody stands twice, every threshold can be met
chain         where every verification begins: Root links, then the time
roles         check_timestamp, check_snapshot, check_targets
stored        from stored octets back to Trusted; what a rotation of keys takes away
patterns      names against patterns; hash bins
delegations   which Targets role speaks for an image
image         the repositories' word compared; an ECU's own conditions; octets against hashes
attested      time
full          full verification, step by step (the workflow of Primaries and full Secondaries)
partial       partial verification
recheck       what is stored, judged again by the newest Root and time, before it is acted on
vouched       whether what is held still vouches for what is assigned, when a disk may have lost some of it
needs         what the workflows ask of the shell: Fetch, Keep, Drop
orders        vehicle orders
states        the states of an ECU in a transaction, as tables
installation  an ECU's durable record and state machine
record        that record as octets
"""
