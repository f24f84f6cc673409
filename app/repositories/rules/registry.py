"""All business rules of the directory: the only module that knows every one."""

from collections.abc import Mapping

from app.query.collection import ACCESS, FILES, FOLDERS, PERMISSIONS, POLICIES, ROLES, SETTINGS, USERS
from app.repositories.engine.collection_rules import CollectionRules, DirectoryRules
from app.repositories.rules.delegation import check_delegation
from app.repositories.rules.files import FileRules
from app.repositories.rules.folders import FolderRules
from app.repositories.rules.last_admin import check_last_admin
from app.repositories.rules.policy_tests import check_policy_tests
from app.repositories.rules.roles_and_policies import AccessRules, PermissionRules, PolicyRules, RoleRules
from app.repositories.rules.settings import SettingsRules
from app.repositories.rules.user_changes import record_user_changes
from app.repositories.rules.user_limits import check_user_limits
from app.repositories.rules.users import UserRules

COLLECTION_RULES: Mapping[str, CollectionRules] = {
    USERS.name: UserRules(),
    ROLES.name: RoleRules(),
    POLICIES.name: PolicyRules(),
    ACCESS.name: AccessRules(),
    PERMISSIONS.name: PermissionRules(),
    SETTINGS.name: SettingsRules(),
    FILES.name: FileRules(),
    FOLDERS.name: FolderRules(),
}
DIRECTORY_RULES = DirectoryRules(
    COLLECTION_RULES,
    (check_delegation, check_last_admin, check_user_limits, check_policy_tests, record_user_changes),
)
