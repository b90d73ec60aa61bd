"""What happens to portraits while their fixed points stay: saddles connect, cycles meet."""

from .between import between as between
