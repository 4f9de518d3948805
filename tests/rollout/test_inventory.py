import pytest

from weft.config.load import environment
from weft.errors import UsageError
from weft.rollout.inventory import Host, Inventory, inventory, waves


@pytest.fixture
def env(tmp_path):
    def env(text):
        (tmp_path / "deploy").mkdir(exist_ok=True)
        (tmp_path / "deploy" / "production.toml").write_text(text)
        return environment(tmp_path)
    return env


def refusal(call, *args):
    with pytest.raises(UsageError) as raised:
        call(*args)
    return raised.value


FLEET = Inventory((Host("web1", groups=("front", "a")), Host("web2", groups=("front",)), Host("db1", groups=("a",))))


def test_hosts_and_tables_in_the_order_of_the_file(env):
    found = inventory(env('hosts = ["web1"]\n[[host]]\nname = "web2"\naddress = "10.0.0.2"\nport = 2222\n'
                          'user = "ops"\ngroups = ["b"]\n'))
    assert list(found) == [Host("web1"), Host("web2", "10.0.0.2", 2222, "ops", ("b",))]
    assert found.hosts[0].target == "web1" and found.hosts[1].target == "10.0.0.2"


def test_no_host_is_an_error_with_an_example(env):
    error = refusal(inventory, env("port = 1\n".replace("port = 1\n", "")))
    assert error.message.endswith("deploy/production.toml: no host is named")
    assert error.hint == 'add, for example: hosts = ["web1.example.org"]'


def test_local_without_a_host_is_this_machine(env):
    assert inventory(env('transport = "local"\nprefix = "x"\n')).names == ["localhost"]


def test_a_name_twice_is_refused_with_its_line(env, tmp_path):
    error = refusal(inventory, env('user = "x"\nhosts = ["web1", "web1"]\n'))
    assert error.message == f"{tmp_path}/deploy/production.toml:2: hosts: 'web1' is named 2 times"
    assert error.hint == "name each host once"


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "", "a b", "a;b", "../x", "a@b", "ü", "web1\n"])
def test_a_name_that_ssh_or_a_shell_could_misread_is_refused(env, name):
    import json
    assert "is not a host name" in refusal(inventory, env(f"hosts = [{json.dumps(name)}]\n")).message


@pytest.mark.parametrize("address", ["-oX", "a b", "root@web1", "web1:22", "$(x)"])
def test_an_address_that_ssh_could_misread_is_refused(env, address):
    error = refusal(inventory, env(f'[[host]]\nname = "web1"\naddress = "{address}"\n'))
    assert f"{address!r} (of web1) is not an address" in error.message


@pytest.mark.parametrize("address", ["10.0.0.1", "web1.example.org", "fe80::1%eth0", "::1", "2001:db8::1", "web_1"])
def test_addresses_that_are_fine(env, address):
    assert inventory(env(f'[[host]]\nname = "web1"\naddress = "{address}"\n')).hosts[0].address == address


def test_port_above_65535(env):
    assert "port 70000 (of web1) is above 65535" in refusal(inventory, env('[[host]]\nname="web1"\nport=70000\n')).message


@pytest.mark.parametrize("words, names", [
    ("", ["web1", "web2", "db1"]), ("web2", ["web2"]), ("front", ["web1", "web2"]), ("web*", ["web1", "web2"]),
    ("db1,web1", ["web1", "db1"]), ("*1", ["web1", "db1"]), (["a"], ["web1", "db1"]), (" web1 , web2", ["web1", "web2"])])
def test_limit_by_name_group_and_glob_keeps_the_order(words, names):
    assert FLEET.limit(words).names == names


def test_limit_to_an_unknown_word_names_the_known_ones():
    error = refusal(FLEET.limit, "wep1")
    assert error.message == "--limit: no host or group 'wep1'; did you mean 'web1'?"
    assert error.hint == "known hosts: web1, web2, db1; groups: a, front"
    assert refusal(FLEET.limit, "x*").message == "--limit: no host or group 'x*'"
    assert refusal(FLEET.limit, "web1,").message == "--limit: no host or group ''"


@pytest.mark.parametrize("words, names", [("", ["web1", "web2", "db1"]), ("front", ["db1"]), ("web1", ["web2", "db1"]), ("fr*", ["db1"]), ("*2,db1", ["web1"])])
def test_exclude_leaves_the_others(words, names):
    assert FLEET.exclude(words).names == names


def test_exclude_to_nothing_or_of_nothing_is_refused():
    assert refusal(FLEET.exclude, "*").message == "--exclude leaves no host"
    assert refusal(FLEET.exclude, "wep1").message == "--exclude: no host or group 'wep1'; did you mean 'web1'?"


def test_a_glob_means_groups_too():
    assert FLEET.limit("fr*").names == ["web1", "web2"]


def test_a_host_may_name_its_failure_domain(env):
    assert [host.domain for host in inventory(env('[[host]]\nname="a"\ndomain="rack 1"\n[[host]]\nname="b"\n'))] == ["rack 1", ""]


def sizes(count, spec):
    return [len(wave) for wave in waves([Host(f"h{n}") for n in range(count)], spec)]


DEFAULT = ["1", "10%", "50%", "100%"]


@pytest.mark.parametrize("count, spec, cut", [
    (1, DEFAULT, [1]), (2, DEFAULT, [1, 1]), (3, DEFAULT, [1, 1, 1]), (10, DEFAULT, [1, 1, 3, 5]),
    (100, DEFAULT, [1, 9, 40, 50]), (19, DEFAULT, [1, 1, 7, 10]), (5, ["2"], [2, 3]), (5, ["10%"], [1, 4]),
    (4, ["100%"], [4]), (3, ["1", "1"], [1, 1, 1]), (0, DEFAULT, []), (2, ["5"], [2])])
def test_waves_round_down_take_at_least_one_and_cover_everything(count, spec, cut):
    assert sizes(count, spec) == cut


def test_every_host_is_in_exactly_one_wave():
    for count in range(1, 60):
        hosts = [Host(f"h{n}") for n in range(count)]
        assert [host for wave in waves(hosts, ["3", "7%", "33%", "2", "90%"]) for host in wave] == hosts
