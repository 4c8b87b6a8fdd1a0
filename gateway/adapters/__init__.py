"""Whom we ask: implementations of the ports. They know no listener and no other adapter's insides."""
