"""What happens to portraits while their fixed points stay: saddles connect, cycles meet."""
