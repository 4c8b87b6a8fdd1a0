"""ebXML RegRep 3.0 as XDS uses it: registry metadata, stored queries, retrieval and registry responses.

Reading is tolerant and reports what was odd as findings; writing is exact, by escaped templates, in pieces. Elements stop
here: what comes out of this room and what goes in are values of `profiles.model`.

What a newcomer gets wrong: a *slot* is a named list of strings, a *classification* is a coded attribute (or an author),
an *external identifier* is an id attribute. Which attribute is which is a table of UUIDs (`rim.py`), not a matter of taste.

Source: ITI TF-3 4.2, 4.3; OASIS ebRIM 3.0 and ebRS 3.0.
"""
