"""The leak check of MongoDB documents."""
