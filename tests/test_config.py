"""A cluster file is read completely, or refused in one sentence that names the file, the line, the key and what was
expected. The refusals are asserted whole: they are what people see.
"""

import re
import textwrap
from pathlib import Path

import msgspec
import pytest

from barnabas.cluster.config import (
    ClusterConfig,
    ConfigError,
    NodeConfig,
    Timing,
    TopicDefaults,
    default_config_path,
    load,
    local,
    parse,
)

ONE_NODE = "[[node]]\nid = 1\n"


def read(text: str) -> ClusterConfig:
    return parse(textwrap.dedent(text).lstrip("\n"), "c.toml")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def nodes(*tables: str) -> str:
    return "".join(f"[[node]]\n{table}\n" for table in tables)


# -- what is read


def test_the_smallest_file_has_one_node_and_every_default() -> None:
    config = read(ONE_NODE)
    assert config.nodes == (NodeConfig(id=1, actors=("controller", "broker"), address="tcp://127.0.0.1:0"),)
    assert config.topic_defaults == TopicDefaults()
    assert config.timing == Timing()
    assert (config.replication, config.min_insync) == (1, 1)


def test_every_option_can_be_given() -> None:
    config = read(
        """
        [cluster]
        name = "orders"
        data = "/srv/orders"
        insecure = true
        [topic_defaults]
        partitions = 6
        replication = 1
        min_insync = 3
        durability = "os"
        segment_bytes = 2097152
        segment_ms = 60000
        retention_ms = -1
        retention_bytes = 10000000
        max_message_bytes = 2000000
        [timing]
        broker_heartbeat_ms = 100
        broker_session_ms = 1000
        broker_lease_margin_ms = 200
        election_timeout_min_ms = 150
        election_timeout_max_ms = 300
        fetch_wait_ms = 100
        replica_lag_ms = 2000
        broadcast_heartbeat_ms = 100
        consumer_session_ms = 3000
        consumer_grace_ms = 500
        [[node]]
        id = 7
        actors = ["controller"]
        address = "10.0.0.7:9000"
        broadcast = "tcp://10.0.0.7:9001"
        data = "/disk/7"
        rack = "a"
        [[node]]
        id = 8
        actors = ["broker"]
        """
    )
    assert config.node(7) == NodeConfig(
        id=7,
        actors=("controller",),
        address="tcp://10.0.0.7:9000",
        broadcast="tcp://10.0.0.7:9001",
        data="/disk/7",
        rack="a",
    )
    assert config.topic_defaults == TopicDefaults(6, 1, 3, "os", 2_097_152, 60_000, -1, 10_000_000, 2_000_000)
    assert config.timing == Timing(100, 1000, 200, 150, 300, 100, 2000, 100, 3000, 500)
    assert config.timing.broker_lease_ms == 800
    assert [node.id for node in config.controllers] == [7]
    assert [node.id for node in config.brokers] == [8]
    assert config.data_of(config.node(7)) == Path("/disk/7")
    assert config.data_of(config.node(8)) == Path("/srv/orders/node-8")


def test_replication_defaults_to_three_or_the_number_of_brokers_and_caps_min_insync() -> None:
    assert [(local(n).replication, local(n).min_insync) for n in (1, 2, 3, 4)] == [(1, 1), (2, 2), (3, 2), (3, 2)]


def test_a_broadcast_that_is_not_given_is_on_the_nodes_host() -> None:
    assert read("[[node]]\nid = 1\naddress = 'localhost:9000'").node(1).broadcast == "tcp://localhost:0"


def test_another_data_directory_moves_the_nodes_that_do_not_name_their_own() -> None:
    config = read(nodes("id = 1", "id = 2\nactors = ['broker']\ndata = '/disk/2'")).with_data("/tmp/x")
    assert [config.data_of(node) for node in config.nodes] == [Path("/tmp/x/node-1"), Path("/disk/2")]


def test_free_ports_are_all_different_and_given_ports_stay() -> None:
    config = read(nodes("id = 1\naddress = '127.0.0.1:9000'", "id = 2\nactors = ['broker']")).with_ports()
    endpoints = [endpoint for node in config.nodes for endpoint in (node.endpoint, node.broadcast_endpoint)]
    assert endpoints[0].port == 9000
    assert len({endpoint.port for endpoint in endpoints} - {0}) == 4


def test_a_configuration_survives_the_way_to_another_process() -> None:
    config = local(3).with_ports()
    assert msgspec.json.decode(msgspec.json.encode(config), type=ClusterConfig) == config


@pytest.mark.parametrize(("name", "brokers"), [("three-brokers", 3), ("single", 1)])
def test_the_shipped_configurations_are_the_defaults(name: str, brokers: int) -> None:
    config = load(default_config_path(name))
    assert config == local(brokers, name=name)


def test_five_brokers_have_three_controllers_and_are_started_again() -> None:
    config = load(default_config_path("five-brokers"))
    assert [node.id for node in config.brokers] == [1, 2, 3, 4, 5]
    assert [node.id for node in config.controllers] == [1, 2, 3]
    assert all(config.restarts(node) for node in config.nodes)


def test_a_node_may_be_started_again_though_the_others_are_not() -> None:
    config = read("[[node]]\nid = 1\n[[node]]\nid = 2\nactors = ['broker']\nrestart = 'always'\n")
    assert [config.restarts(node) for node in config.nodes] == [False, True]


def test_three_brokers_explains_every_option_with_its_default() -> None:
    text = default_config_path("three-brokers").read_text()
    explained = set(re.findall(r"^(?:# )?([a-z_.]+) = ", text, re.MULTILINE))
    given = re.sub(r"^# (?=[a-z_.]+ = )", "", text, flags=re.MULTILINE)
    given = given.replace('data = "/var/lib/barnabas/node-1"\n', "").replace('rack = "a"\n', "")
    given = given.replace('advertised = "broker-1.example.com:9092"\n', "")
    config = parse(given)
    options = {
        field.encode_name
        for table in (config.cluster, config.topic_defaults, config.broker, config.timing, config.nodes[0])
        for field in msgspec.structs.fields(table)
    }
    assert explained == options
    assert config == msgspec.structs.replace(
        local(3, name="three-brokers"), topic_defaults=TopicDefaults(replication=3)
    )


# -- what is refused: the file


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path}/none.toml: no such file or directory, expected a cluster file in TOML."


def test_bytes_that_are_not_text_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"[cluster]\nname = '\xff'\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}, line 2: not UTF-8, expected a cluster file in TOML."


def test_a_shipped_configuration_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(ConfigError) as caught:
        default_config_path("tree-brokers")
    message = str(caught.value)
    assert message.startswith("no configuration called `tree-brokers` comes with Barnabas, expected one of: `")
    assert "`three-brokers`" in message


def test_broken_toml_is_refused_with_its_line() -> None:
    assert refusal("[cluster]\nname orders\n").startswith("c.toml, line 2: not valid TOML: expected '=' after a key")
    assert refusal("[cluster]\nname =").startswith("c.toml, line 2: not valid TOML: invalid value")


def test_kafkas_clients_are_told_the_advertised_address_or_where_the_broker_listens() -> None:
    text = "[cluster]\ninsecure = true\n[broker]\nauto.create.topics.enable = false\n" + nodes(
        "id = 1\nkafka = '0.0.0.0:9092'\nadvertised = 'tcp://b1.example.com:9092'",
        "id = 2\nactors = ['broker']\nkafka = '127.0.0.1:9093'",
        "id = 3\nactors = ['broker']\nkafka = 'none'",
        "id = 4\nactors = ['broker']\naddress = '10.0.0.4:9000'\nbroadcast = '10.0.0.4:9001'",
    )
    config = read(text)
    told = ["b1.example.com:9092", "127.0.0.1:9093", None, "10.0.0.4:9092"]
    assert [node.kafka_advertised for node in config.nodes] == told
    assert config.broker.auto_create_topics_enable is False


def test_a_cluster_of_no_brokers_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match=r"^a cluster of 0 brokers cannot be, expected at least 1\.$"):
        local(0)


REFUSALS = {
    # keys and tables
    "a_misspelt_key_is_answered_with_the_right_one": (
        "[topic_defaults]\npartitions = 1\nreplicaton = 3\n" + ONE_NODE,
        "c.toml, line 3: unknown key `replicaton` in [topic_defaults], did you mean `replication`?",
    ),
    "a_strange_key_is_answered_with_those_there_are": (
        "[cluster]\nzookeeper = 'here'\n" + ONE_NODE,
        "c.toml, line 2: unknown key `zookeeper` in [cluster], expected one of: `data`, `faults`, `insecure`, "
        "`links`, `name`, `restart`.",
    ),
    "a_misspelt_table_is_answered_with_the_right_one": (
        ONE_NODE + "[timings]\n",
        "c.toml, line 3: unknown key `timings` at the top level, did you mean `timing`?",
    ),
    "a_misspelt_key_of_the_second_node_has_its_line": (
        nodes("id = 1", "id = 2\nadress = '127.0.0.1:1'"),
        "c.toml, line 5: unknown key `adress` in [[node]], did you mean `address`?",
    ),
    "a_value_in_the_place_of_a_table": (
        "timing = 5\n" + ONE_NODE,
        "c.toml, line 1: `timing` is 5, expected the table [timing].",
    ),
    "one_bracket_too_few": (
        "[node]\nid = 1\n",
        "c.toml, line 1: `node` is not an array of tables, expected [[node]] with two brackets.",
    ),
    "no_node_at_all": ("[cluster]\n", "c.toml: there is no [[node]], expected at least one."),
    "a_node_without_an_id": (
        "[cluster]\n[[node]]\nrack = 'a'\n",
        "c.toml, line 2: [[node]] has no `id`, expected a whole number from 1 to 2147483647.",
    ),
    # types and ranges
    "a_word_for_a_number": (
        "[topic_defaults]\npartitions = 'six'\n" + ONE_NODE,
        'c.toml, line 2: `partitions` in [topic_defaults] is "six", expected a whole number from 1 to 32767.',
    ),
    "a_number_for_a_flag": (
        "[cluster]\ninsecure = 1\n" + ONE_NODE,
        "c.toml, line 2: `insecure` in [cluster] is 1, expected true or false.",
    ),
    "a_flag_for_a_number": (
        "[topic_defaults]\nreplication = true\n" + ONE_NODE,
        "c.toml, line 2: `replication` in [topic_defaults] is true, expected a whole number from 1 to 32767.",
    ),
    "a_durability_that_does_not_exist": (
        "[topic_defaults]\ndurability = 'disk'\n" + ONE_NODE,
        'c.toml, line 2: `durability` in [topic_defaults] is "disk", expected "fsync" or "os".',
    ),
    "no_time_at_all": (
        "[timing]\nreplica_lag_ms = 0\n" + ONE_NODE,
        "c.toml, line 2: `replica_lag_ms` in [timing] is 0, expected a whole number of milliseconds from 1 to "
        "2147483647.",
    ),
    "a_name_with_a_space": (
        "[cluster]\nname = 'my cluster'\n" + ONE_NODE,
        'c.toml, line 2: `name` in [cluster] is "my cluster", expected up to 64 letters, digits, dots, dashes and '
        "underscores.",
    ),
    "an_actor_that_does_not_exist": (
        "[[node]]\nid = 1\nactors = [\n  'broker',\n  'controler',\n]\n",
        'c.toml, line 3: `actors` in [[node]] is ["broker", "controler"], expected an array of "controller" and '
        '"broker", at least one of them.',
    ),
    "a_message_larger_than_a_batch_may_be": (
        "[topic_defaults]\nmax_message_bytes = 20_000_000\n" + ONE_NODE,
        "c.toml, line 2: `max_message_bytes` in [topic_defaults] is 20000000, expected a whole number of bytes from "
        "1024 to 16777216.",
    ),
    # Kafka's clients
    "a_misspelt_name_of_kafkas_is_answered_with_the_right_one": (
        "[broker]\nauto.create.topic.enable = false\n" + ONE_NODE,
        "c.toml, line 2: unknown key `auto.create.topic.enable` in [broker], did you mean `auto.create.topics.enable`?",
    ),
    "a_quoted_name_of_kafkas_has_its_line_too": (
        '[broker]\n"fetch.max.bytes" = 4096\n"max.connections" = 0\n' + ONE_NODE,
        "c.toml, line 3: `max.connections` in [broker] is 0, expected a whole number from 1 to 1000000.",
    ),
    "a_kafka_address_without_a_port": (
        ONE_NODE + "kafka = 'localhost'\n",
        'c.toml, line 3: `kafka` in [[node]] is "localhost", expected "none", "HOST:PORT" or "tcp://HOST:PORT" with a '
        "port from 0 to 65535.",
    ),
    "a_kafka_port_that_others_may_reach": (
        ONE_NODE + "kafka = '0.0.0.0:9092'\nadvertised = 'b1:9092'\n",
        "c.toml, line 3: `kafka` in [[node]] is 0.0.0.0:9092, which other machines may reach without a password; "
        "expected a loopback address such as 127.0.0.1, or `insecure = true` in [cluster].",
    ),
    "a_kafka_address_that_means_all_interfaces_and_is_told_to_clients": (
        "[cluster]\ninsecure = true\n" + ONE_NODE + "kafka = '0.0.0.0:9092'\n",
        "c.toml, line 5: `kafka` in [[node]] is 0.0.0.0:9092, which nobody can connect to; expected an `advertised` "
        "one for clients.",
    ),
    "an_advertised_address_that_is_none": (
        ONE_NODE + "advertised = '0.0.0.0:9092'\n",
        'c.toml, line 3: `advertised` in [[node]] is "0.0.0.0:9092", expected the HOST:PORT by which clients connect.',
    ),
    "an_advertised_address_of_two_brokers": (
        nodes("id = 1\nadvertised = 'h:1'", "id = 2\nactors = ['broker']\nadvertised = 'h:1'"),
        "c.toml, line 7: `advertised` in [[node]] is h:1 as on line 3, expected one for each broker.",
    ),
    "a_kafka_port_that_is_the_nodes_own": (
        ONE_NODE + "address = '127.0.0.1:9092'\nkafka = '127.0.0.1:9092'\n",
        "c.toml, line 4: `kafka` in [[node]] is 127.0.0.1:9092 as on line 3, expected a port of its own.",
    ),
    "a_kafka_port_of_a_node_without_a_broker": (
        nodes("id = 1\nactors = ['controller']\nkafka = '127.0.0.1:9092'", "id = 2\nactors = ['broker']"),
        'c.toml, line 4: `kafka` in [[node]] is given to a node without a broker, expected "broker" among its '
        "`actors`.",
    ),
    # nodes that cannot live together
    "two_nodes_with_one_id": (
        nodes("id = 1", "id = 1\nactors = ['broker']"),
        "c.toml, line 4: `id` in [[node]] is 1 as on line 2, expected an id of its own for each node.",
    ),
    "an_actor_named_twice": (
        "[[node]]\nid = 1\nactors = ['broker', 'broker', 'controller']\n",
        'c.toml, line 3: `actors` in [[node]] names "broker" twice, expected each actor once.',
    ),
    "two_nodes_on_one_port": (
        nodes("id = 1\naddress = '127.0.0.1:9000'", "id = 2\nactors = ['broker']\naddress = 'tcp://localhost:9000'"),
        "c.toml, line 7: `address` in [[node]] is tcp://localhost:9000 as on line 3, expected a port of its own.",
    ),
    "a_broadcast_on_the_nodes_own_port": (
        "[[node]]\nid = 1\naddress = '127.0.0.1:9000'\nbroadcast = '127.0.0.1:9000'\n",
        "c.toml, line 4: `broadcast` in [[node]] is tcp://127.0.0.1:9000 as on line 3, expected a port of its own.",
    ),
    "two_nodes_in_one_directory": (
        nodes("id = 1\ndata = '/srv/a'", "id = 2\nactors = ['broker']\ndata = '/srv/a'"),
        "c.toml, line 7: `data` in [[node]] is the directory of the node on line 3, expected one of its own.",
    ),
    "an_address_without_a_port": (
        "[[node]]\nid = 1\naddress = 'localhost'\n",
        'c.toml, line 3: `address` in [[node]] is "localhost", expected "HOST:PORT" or "tcp://HOST:PORT" with a port '
        "from 0 to 65535.",
    ),
    "a_port_that_does_not_exist": (
        "[[node]]\nid = 1\nbroadcast = '127.0.0.1:65536'\n",
        'c.toml, line 3: `broadcast` in [[node]] is "127.0.0.1:65536", expected "HOST:PORT" or "tcp://HOST:PORT" with '
        "a port from 0 to 65535.",
    ),
    "a_node_that_the_network_reaches": (
        "[[node]]\nid = 1\naddress = '10.0.0.1:9000'\n",
        "c.toml, line 3: `address` in [[node]] is tcp://10.0.0.1:9000, which other machines may reach without a "
        "password; expected a loopback address such as 127.0.0.1, or `insecure = true` in [cluster].",
    ),
    "an_address_that_nobody_can_connect_to": (
        "[cluster]\ninsecure = true\n[[node]]\nid = 1\naddress = '0.0.0.0:9000'\n",
        "c.toml, line 5: `address` in [[node]] is tcp://0.0.0.0:9000, which nobody can connect to; expected the "
        "address by which the other nodes reach this one.",
    ),
    "a_port_that_other_machines_cannot_know": (
        "[cluster]\ninsecure = true\n[[node]]\nid = 1\naddress = '10.0.0.1:9000'\n",
        "c.toml, line 3: `broadcast` in [[node]] is tcp://10.0.0.1:0, expected a port from 1 to 65535, because other "
        "machines must know it.",
    ),
    # clusters that cannot work
    "an_even_number_of_controllers": (
        nodes("id = 1", "id = 2"),
        "c.toml, line 3: 2 nodes host a controller, expected 1, 3 or 5.",
    ),
    "too_many_controllers": (
        nodes(*(f"id = {number}" for number in range(1, 8))),
        "c.toml, line 13: 7 nodes host a controller, expected 1, 3 or 5.",
    ),
    "no_controller": (
        "[[node]]\nid = 1\nactors = ['broker']\n",
        "c.toml, line 3: no node hosts a controller, expected 1, 3 or 5.",
    ),
    "no_broker": (
        "[[node]]\nid = 1\nactors = ['controller']\n",
        "c.toml, line 3: no node hosts a broker, expected at least one.",
    ),
    "more_copies_than_brokers": (
        "[topic_defaults]\nreplication = 2\n" + ONE_NODE,
        "c.toml, line 2: `replication` in [topic_defaults] is 2, expected at most 1, the number of brokers.",
    ),
    "a_segment_smaller_than_a_message": (
        "[topic_defaults]\nsegment_bytes = 1048576\n" + ONE_NODE,
        "c.toml, line 2: `segment_bytes` in [topic_defaults] is 1048576, expected at least `max_message_bytes`, "
        "1048588.",
    ),
    "a_session_that_one_heartbeat_fills": (
        "[timing]\nbroker_heartbeat_ms = 3000\n" + ONE_NODE,
        "c.toml, line 2: `broker_session_ms` in [timing] is 3000, expected more than `broker_heartbeat_ms` and "
        "`broker_lease_margin_ms` together, 3300.",
    ),
    "an_election_timeout_without_a_range": (
        "[timing]\nelection_timeout_min_ms = 600\n" + ONE_NODE,
        "c.toml, line 2: `election_timeout_max_ms` in [timing] is 600, expected more than `election_timeout_min_ms`, "
        "600.",
    ),
    "a_fetch_that_outlasts_an_election": (
        "[timing]\nfetch_wait_ms = 300\n" + ONE_NODE,
        "c.toml, line 2: `fetch_wait_ms` in [timing] is 300, expected less than `election_timeout_min_ms`, 300, or an "
        "idle quorum elects for ever.",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_says_where_and_what_was_expected(text: str, message: str) -> None:
    assert refusal(text) == message
