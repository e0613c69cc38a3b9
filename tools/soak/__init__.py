"""Long loads against servers in the guest: after each one nothing may be left over."""
