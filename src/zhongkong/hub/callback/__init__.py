"""The room where the platform knocks: checks what it pushes, and has it brought to the programs behind the hub."""
