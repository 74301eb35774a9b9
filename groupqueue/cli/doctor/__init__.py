"""
`groupqueue doctor NAME`: what is wrong with a group, in plain words, and what to do about it.

It never joins: a member, were it only for a moment, would revive a group that was shut down and could be made its
leader. It reads the directory, /proc and, to see whether anybody answers, rings at the socket as somebody whom every
leader must refuse. The one lock it ever takes is a shared one for a few microseconds, where /proc shows no holder;
who meets it tries again a millisecond later.
"""
