"""Patient Identifier Cross-referencing and what feeds it. Source: ITI TF-1 5, TF-2 3.8, 3.30."""
