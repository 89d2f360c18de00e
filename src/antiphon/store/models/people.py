"""People, their accounts on platforms, their logins, and their credentials."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

from antiphon.domain.identity import Role
from antiphon.store.models.fields import InstantField, choices


class Person(models.Model):
    """A human."""

    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    language = models.CharField(max_length=35, default="en", db_default="en")
    preferences = models.JSONField(default=dict, blank=True)
    created_at = InstantField()

    class Meta:
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return self.name or f"person {self.pk}"


class Account(models.Model):
    """A person's identity on one platform. `native_id` is authority, `name` a label."""

    platform = models.CharField(max_length=16)
    native_id = models.CharField(max_length=200)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="accounts")
    name = models.CharField(max_length=200)
    is_bot = models.BooleanField(default=False)
    created_at = InstantField()
    linked_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["platform", "native_id"], name="account_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.platform})"


class Membership(models.Model):
    """What is known about a person in one server."""

    server = models.ForeignKey("antiphon.Server", on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    data = models.JSONField(default=dict, blank=True)
    joined_at = InstantField(null=True, blank=True)
    left_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "person"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.person} in {self.server}"


class UserManager(BaseUserManager["User"]):
    """Lets Django's sign-in find users by name."""

    use_in_migrations = False


class User(AbstractBaseUser):
    """A login of the console. Only owners get into the admin; there are no Django groups or permissions."""

    name = models.CharField(max_length=150, unique=True)
    role = models.CharField(max_length=10, choices=choices(Role), default=Role.MEMBER.value)
    person = models.OneToOneField(Person, on_delete=models.PROTECT, related_name="user")
    is_active = models.BooleanField(default=True)
    created_at = InstantField()
    totp_secret = models.CharField(max_length=64, blank=True, default="", db_default="")
    totp_pending = models.CharField(max_length=64, blank=True, default="", db_default="")
    totp_step = models.BigIntegerField(default=0, db_default=0)

    objects = UserManager()

    USERNAME_FIELD = "name"
    REQUIRED_FIELDS: list[str] = []

    @property
    def is_owner(self) -> bool:
        """Whether this login may use the admin."""
        return self.is_active and self.role == Role.OWNER.value

    @property
    def is_staff(self) -> bool:
        """Django's word for "may use the admin"."""
        return self.is_owner

    @property
    def is_superuser(self) -> bool:
        """Django's word for "holds every permission"."""
        return self.is_owner

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Whether the user may do `perm` in the admin; what is read-only there stays so for everybody."""
        return self.is_owner

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        """Whether the user may do all of these."""
        return self.is_owner

    def has_module_perms(self, app_label: str) -> bool:
        """Whether the user may see an app in the admin."""
        return self.is_owner

    def __str__(self) -> str:
        return self.name


class SignInToken(models.Model):
    """A single-use sign-in link; only the hash of its token is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_tokens")
    digest = models.CharField(max_length=64, unique=True)
    created_at = InstantField()
    expires_at = InstantField()
    used_at = InstantField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"


class RecoveryCode(models.Model):
    """A single-use stand-in for a code of the authenticator app; only its hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True)
    used_at = InstantField(null=True, blank=True)

    def __str__(self) -> str:
        return f"recovery code of {self.user}"


class SignedIn(models.Model):
    """What people see of a session of theirs: where from, and when it was last used. Django's own row proves it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in")
    session_key = models.CharField(max_length=40, unique=True)
    started_at = InstantField()
    seen_at = InstantField()
    address = models.CharField(max_length=64, blank=True, default="")
    agent = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return f"session of {self.user}"


class Key(models.Model):
    """An API credential; only the hash of its secret is kept."""

    name = models.CharField(max_length=100)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="keys")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=16)
    scopes = models.JSONField(default=list)
    created_at = InstantField()
    last_used_at = InstantField(null=True, blank=True)
    revoked_at = InstantField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"
