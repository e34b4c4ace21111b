"""Fine-tuning: LoRA on instruction pairs, with the loss on the answers only."""
