"""XDS.b: documents registered, found and retrieved. One folder per transaction; the list is in `profile.py`.

Source: ITI TF-1 10; ITI TF-2 3.18, 3.41, 3.42, 3.43.
"""
