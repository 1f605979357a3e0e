"""What app_config.py is made of. Knows neither Flask nor MSAL, and reads no environment."""
