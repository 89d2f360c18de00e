"""The routes of the API, one module per noun. `base.ApiView` is what they have in common."""
