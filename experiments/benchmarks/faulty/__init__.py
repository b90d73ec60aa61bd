"""What `faults.py` is made of: a synthetic sweep, those who harm it, and those who look at what is left.

`waves` is the sweep, `driver` the program that runs it, `watching` what is known of its file from outside;
`kills`, `workers`, `disks`, `damage` and `scaling` are the sections of the table.
"""
