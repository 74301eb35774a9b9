"""The face's parts: what one handle shares, and its putting, getting and operating halves."""
