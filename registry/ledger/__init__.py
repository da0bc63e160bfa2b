"""The registry's own privacy book: what arrived, under the rules every book follows."""
