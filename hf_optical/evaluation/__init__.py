"""Cross-lingual, multilingual and monolingual retrieval; language bias; paired tests."""
