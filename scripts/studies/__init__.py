"""Studies: many random problems against oracles that share nothing with `dynsys`."""
