"""What a run's store holds, held against what its rows say; and put back."""
