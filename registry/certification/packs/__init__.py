"""Rule packs as data: one TOML file for each edition of a catalogue of requirements."""
