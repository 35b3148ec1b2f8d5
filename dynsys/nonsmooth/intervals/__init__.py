"""Between which bounds the variables of a flat program stay."""
