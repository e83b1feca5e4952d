"""Files without end."""

import os

os.mkdir("many")
number = 0
while True:
    os.close(os.open(f"many/{number}", os.O_CREAT | os.O_WRONLY))
    number += 1
