"""How many levels, and which strides: advice from measurements that need no planning evaluation."""
