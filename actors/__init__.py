"""Who acts: deterministic state machines that know time, chance and disk only through their context."""
