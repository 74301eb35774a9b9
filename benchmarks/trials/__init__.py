"""The kinds of trials: what runs in which process, and what is measured. Each returns numbers; none knows who wins."""
