"""Curves in a plane along which saddles connect or cycles meet, and where folds lie on cycles."""
