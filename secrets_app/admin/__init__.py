from secrets_app.admin.secrets import SecretAdmin

__all__ = ["SecretAdmin"]
