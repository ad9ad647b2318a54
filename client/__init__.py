"""What applications hold: blocking and asyncio producers, consumers and admins."""
