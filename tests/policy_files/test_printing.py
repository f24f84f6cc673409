"""What a command prints cannot control a terminal."""

from tests.policy_files.test_applying import NOTHING


async def test_names_are_printed_without_control_characters(policies, file):
    path = file('roles: [{name: "\\e[31mred"}]')
    result = await policies("apply", path)

    assert result.out.startswith('+ role "\\u001b[31mred"\n')
    assert (await policies("apply", path)).out == NOTHING
