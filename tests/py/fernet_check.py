"""Encrypts or decrypts stdin the way the Python program did: one Fernet token, key = SHA-256 of the key's text."""

import base64
import hashlib
import sys

from cryptography.fernet import Fernet


def main() -> None:
    action, passphrase = sys.argv[1:3]
    fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(passphrase.encode()).digest()))
    data = sys.stdin.buffer.read()
    sys.stdout.buffer.write(fernet.encrypt(data) if action == "encrypt" else fernet.decrypt(data))


main()
