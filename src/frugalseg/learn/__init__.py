"""How anything here learns: the engine, losses that know where nobody has looked, the EMA teacher, ramps."""
