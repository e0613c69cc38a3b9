"""Long loads in the guest: after each one nothing may be left over."""
