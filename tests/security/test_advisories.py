"""The advisories that tests outside this package cover, and a check that those tests exist."""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COVERED_ELSEWHERE = {
    "CVE-2025-30351: sessions of suspended users": [
        "test_revocation.py::test_an_invalidated_caller_is_rejected_at_once",
        "test_revocation.py::test_the_token_of_an_ended_session_is_invalid",
        "http/test_graphql.py::test_a_suspended_user_gets_a_401_at_the_next_request",
        "http/test_auth.py::test_a_suspended_users_session_cannot_be_refreshed",
        "graphql/test_account.py::test_a_suspended_user_cannot_refresh",
    ],
    "CVE-2024-34709: logging out leaves a session": [
        "http/test_auth.py::test_a_logout_deletes_the_cookie",
        "http/test_auth.py::test_a_logout_ends_a_session_at_once",
        "graphql/test_account.py::test_logout_of_a_session_ends_its_predecessor_and_successor_too",
        "flows/test_session_list.py::test_a_session_is_ended_by_its_id_and_its_token_is_rejected_at_once",
    ],
    "CVE-2024-45596: cached login responses": [
        "http/test_auth.py::test_no_response_under_auth_may_be_stored",
        "http/test_middleware.py::test_a_response_to_a_request_with_credentials_may_not_be_stored",
    ],
    "CVE-2024-28238, CVE-2024-47822: tokens in URLs and logs": [
        "http/test_middleware.py::test_a_request_is_one_line_without_its_query_or_its_credentials",
        "http/test_middleware.py::test_values_with_a_secrets_name_are_redacted",
        "http/test_account.py::test_a_verification_link_redirects_to_a_local_page_without_the_token",
        "graphql/test_account.py::test_no_text_with_a_password_is_cached",
        "mail/test_outbox_worker.py::test_the_database_never_holds_a_valid_link",
        "mail/test_outbox_worker.py::test_a_permanently_rejected_recipient_is_given_up_at_once",
    ],
    "CVE-2026-26185, CVE-2024-39896: user enumeration by timing": [
        "flows/test_password_reset.py::test_a_request_takes_equally_long_for_every_email",
        "flows/test_registration.py::test_every_registration_hashes_a_password_and_takes_equally_long",
        "writes/test_login.py::test_every_login_takes_equally_long",
        "security/test_timing.py::test_all_failed_logins_take_equally_long",
    ],
    "CVE-2024-27295, PR#28144: mails to look-alike addresses": [
        "flows/test_password_reset.py::test_no_other_email_gets_a_mail_and_the_response_does_not_reveal_it",
        "flows/test_password_reset.py::test_an_email_that_case_folds_to_a_stored_one_gets_no_mail_itself",
        "flows/test_registration.py::test_an_unverified_user_gets_another_mail_at_the_stored_email",
        "flows/test_registration.py::test_a_homoglyph_email_is_another_user",
        "flows/test_invitations.py::test_an_invited_user_gets_another_mail_at_the_stored_email",
        "flows/test_invitations.py::test_a_link_for_a_homoglyph_email_matches_no_user",
        "mail/test_templating.py::test_a_text_that_is_not_one_address_is_rejected",
    ],
    "CVE-2023-27474, CVE-2024-28239: open redirects and HTML in mails": [
        "flows/test_password_reset.py::test_a_mail_links_to_no_other_url",
        "flows/test_registration.py::test_a_mail_links_to_no_other_url",
        "flows/test_invitations.py::test_a_mail_links_to_no_other_url",
        "mail/test_outbox_worker.py::test_a_project_name_cannot_inject_headers_or_html",
    ],
    "GRAPHQL_SINGLE_USE_MUTATIONS": [
        "graphql/test_account.py::test_a_request_with_two_sensitive_mutations_executes_none",
        "graphql/test_account.py::test_repeating_a_hidden_mutation_does_not_disclose_it",
    ],
    "CVE-2024-54151, CVE-2026-126539: a missing caller is no administrator": [
        "security/test_writes.py::test_cve_2024_54151_the_public_is_never_the_system_caller",
        "security/test_queries.py::test_cve_2024_54151_anonymous_callers_are_never_administrators",
        "http/test_server.py::test_an_invalid_token_is_rejected_by_these_endpoints_too",
        "http/test_account.py::test_an_invalid_token_is_rejected_also_where_none_is_needed",
    ],
    "CVE-2024-36128: random strings of any length": [
        "http/test_account.py::test_an_invalid_length_is_rejected_with_its_reason",
        "graphql/test_account.py::test_a_random_string_has_the_requested_length",
    ],
    "PR#28176: two-factor enforcement by a parent role's policy, or by one with `ip_access`": [
        "flows/test_tfa_setup.py::test_a_policy_enforces_tfa_wherever_in_the_role_tree_it_is_attached",
        "flows/test_tfa_setup.py::test_a_policy_limited_to_a_network_enforces_tfa_only_there",
    ],
    "CVE-2024-33663, CVE-2024-33664, CVE-2026-32597, CVE-2022-29217: forged tokens": [
        "core/test_tokens.py::test_an_invalid_token_is_rejected",
        "core/test_tokens.py::test_a_modified_token_is_rejected",
    ],
    "passlib: the cost of hashes": [
        "core/test_hashing.py::test_a_password_has_1_to_1024_characters",
        "graphql/test_account.py::test_invalid_and_too_expensive_hashes_are_invalid_payloads",
        "graphql/test_account.py::test_anonymous_hashing_does_not_block_logins",
        "flows/test_password_reset.py::test_an_invalid_password_leaves_the_link_valid",
    ],
    "CVE-2026-18963, CVE-2026-4325, CVE-2026-37982, CVE-2025-14559: reused links, and links of blocked users": [
        "flows/test_password_reset.py::test_a_link_sets_a_new_password_once",
        "flows/test_password_reset.py::test_one_of_two_concurrent_uses_of_a_link_succeeds",
        "flows/test_password_reset.py::test_a_link_bound_to_another_password_or_none_is_rejected",
        "flows/test_password_reset.py::test_a_link_of_a_user_who_cannot_use_a_password_is_rejected",
        "flows/test_password_reset.py::test_a_link_is_invalid_while_its_user_is_suspended_or_has_another_email",
        "flows/test_invitations.py::test_both_links_are_valid_until_one_is_used",
        "flows/test_invitations.py::test_only_an_invited_user_can_accept",
        "flows/test_registration.py::test_an_email_is_verified_once",
        "flows/test_registration.py::test_only_an_unverified_user_can_be_verified",
    ],
    "GHSA-3529-5m8x-rpv3, CVE-2023-49097: links built from the Host header": [
        "mail/test_outbox_worker.py::test_without_public_url_links_point_to_host_and_port",
    ],
    "CVE-2025-53942, CVE-2025-64708: expired and revoked invitations": [
        "flows/test_invitations.py::test_an_invalid_link_is_rejected",
        "flows/test_registration.py::test_an_invalid_link_is_rejected",
        "flows/test_invitations.py::test_revoking_deletes_the_user_and_invalidates_the_links_forever",
        "mail/test_outbox_worker.py::test_a_link_is_valid_as_long_as_its_mail_says",
    ],
    "CVE-2024-45042: sessions gain no permissions later": [
        "flows/test_tfa_setup.py::test_a_refresh_updates_whether_tfa_setup_is_required",
        "flows/test_tfa_setup.py::test_a_session_cookie_refresh_updates_whether_tfa_setup_is_required",
        "flows/test_password_reset.py::test_two_factor_authentication_stays_enabled",
    ],
    "CVE-2026-105638: unlimited OTP attempts": [
        "flows/test_two_factor.py::test_wrong_codes_of_all_operations_count_towards_one_limit",
        "flows/test_two_factor.py::test_concurrent_wrong_codes_are_counted_individually",
        "flows/test_two_factor.py::test_one_of_many_concurrent_logins_with_one_code_succeeds",
        "flows/test_two_processes.py::test_two_processes_share_limits_lockouts_sessions_mails_and_revocations",
    ],
    "R2, R3, R5: conditions that a grantor drops, and credentials of users with more rights": [
        "security/test_writes.py::test_r2_r3_r5_nobody_grants_or_takes_more_than_they_have",
        "writes/test_grant_conditions.py::test_conditions_may_not_be_lost_or_become_wider",
        "writes/test_grant_conditions.py::test_rights_under_required_tfa_are_not_granted_without_it",
        "writes/test_takeovers.py::test_no_credential_of_a_user_with_more_rights_is_set",
        "writes/test_takeovers.py::test_credentials_and_rights_are_not_exchanged_within_one_write",
        "writes/test_takeovers.py::test_users_with_more_rights_are_not_activated",
    ],
    "R10, CVE-2024-47082: cross-site requests with a cookie": [
        "http/test_csrf.py::test_a_form_of_another_site_is_rejected_everywhere",
        "http/test_csrf.py::test_a_cookie_without_a_known_origin_is_rejected",
        "files/test_uploads.py::test_a_form_with_a_cookie_is_not_accepted_from_an_unknown_origin",
    ],
    "R11: a used one-time code is accepted for another purpose": [
        "flows/test_two_factor.py::test_a_code_is_accepted_once_whatever_it_is_used_for",
        "http/test_account.py::test_two_factor_is_enabled_used_and_disabled",
        "graphql/test_account.py::test_tfa_is_set_up_and_disabled",
    ],
    "CVE-2026-39943: secrets in the audit log": [
        "security/test_writes.py::test_cve_2026_39943_the_audit_log_contains_no_secret",
        "flows/test_two_factor.py::test_the_audit_log_records_the_changes_without_secrets",
    ],
    "CVE-2023-26492, CVE-2024-39699, CVE-2024-46990, CVE-2026-35409, CVE-2026-61835: SSRF": [
        "security/test_mails.py::test_ssrf_no_submitted_url_is_fetched",
        "security/test_files.py::test_ssrf_uploads_fetch_no_url",
        "files/test_assets.py::test_files_are_not_imported_from_urls",
    ],
    "CVE-2024-47874, CVE-2025-54121: unlimited multipart forms": [
        "security/test_files.py::test_no_multipart_form_takes_long_to_parse",
        "files/test_uploads.py::test_a_malformed_form_is_a_400_and_leaves_no_file",
        "files/test_uploads.py::test_the_maximum_upload_size_is_enforced",
    ],
    "active content in browsers": [
        "security/test_files.py::test_xss_no_uploaded_content_runs_in_a_browser",
        "files/test_assets.py::test_active_content_is_an_attachment",
        "files/test_assets.py::test_a_type_changed_later_does_not_make_content_active",
        "files/test_assets.py::test_a_filename_cannot_inject_headers",
    ],
    "path traversal, and paths of other users' files": [
        "security/test_files.py::test_path_traversal_no_filename_leaves_the_storage_folder",
        "files/test_uploads.py::test_the_storage_path_of_a_content_cannot_be_set",
        "files/test_uploads.py::test_presets_cannot_set_the_storage_path_of_a_content",
        "storage/test_storage.py::test_no_name_escapes_the_storage",
        "storage/test_storage.py::test_symbolic_links_are_not_followed",
    ],
}


@cache
def names_in(module):
    """Return the names of a module's tests."""
    nodes = ast.parse((TESTS / module).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}


@pytest.mark.parametrize("advisory", COVERED_ELSEWHERE)
def test_the_tests_of_an_advisory_exist(advisory):
    missing = [
        test for test in COVERED_ELSEWHERE[advisory] if test.partition("::")[2] not in names_in(test.partition("::")[0])
    ]

    assert missing == []
