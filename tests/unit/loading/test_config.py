from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.errors import ConfigError
from nbpipe.loading.config import Config, Location, load_config


def configured(folder: Path, text: str, env: str = "default") -> Config:
    (folder / "nbpipe.toml").write_text(text, encoding="utf-8")
    return load_config(folder, env)


def test_without_a_file_everything_lives_in_the_projects_own_folder(tmp_path):
    config = load_config(tmp_path)
    assert config.file is None
    assert config.state_url(tmp_path) == f"sqlite:///{tmp_path}/.nbpipe/state.db"
    assert config.storage_url(tmp_path) == f"{tmp_path}/.nbpipe/values"
    assert (config.executor.parallel, config.retention.values, config.limits.record_size) == (4, 3, 50_000_000)


def test_every_table_is_read(tmp_path):
    config = configured(
        tmp_path,
        """
        state = "sqlite:///state.db"
        storage = "values"
        [locations.reports]
        notebooks = ["reports/*.ipynb"]
        kernel = "reports"
        [io.lake]
        path = "s3://lake"
        [executor]
        parallel = 2
        memory = "4 GB"
        [limits]
        record_size = "1.5 MB"
        [retention]
        values = 5
        """,
    )
    assert config.file == "nbpipe.toml"
    assert config.locations == {"reports": Location(notebooks=("reports/*.ipynb",), kernel="reports")}
    assert config.io == {"lake": {"path": "s3://lake"}}
    assert config.executor.memory == 4_000_000_000
    assert (config.executor.parallel, config.limits.record_size, config.retention.values) == (2, 1_500_000, 5)


@pytest.mark.parametrize(
    ("state", "url"),
    [
        ("sqlite:///state.db", "sqlite:///{root}/state.db"),
        ("sqlite:///a/state.db?timeout=3", "sqlite:///{root}/a/state.db?timeout=3"),
        ("sqlite+pysqlite:///state.db", "sqlite+pysqlite:///{root}/state.db"),
        ("sqlite:////srv/state.db", "sqlite:////srv/state.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///${FOLDER}/state.db", "sqlite:///${FOLDER}/state.db"),
        ("${STATE}", "${STATE}"),
        ("postgresql+psycopg://me:${PASSWORD}@db/nbpipe", "postgresql+psycopg://me:${PASSWORD}@db/nbpipe"),
    ],
)
def test_a_relative_sqlite_path_is_taken_from_the_root(tmp_path, state, url):
    assert configured(tmp_path, f'state = "{state}"').state_url(tmp_path) == url.replace("{root}", str(tmp_path))


@pytest.mark.parametrize(
    ("storage", "url"),
    [
        ("values", "{root}/values"),
        ("../values", "{root}/../values"),
        ("/srv/values", "/srv/values"),
        ("s3://bucket/values", "s3://bucket/values"),
        ("simplecache::s3://bucket", "simplecache::s3://bucket"),
        ("${STORAGE}/values", "${STORAGE}/values"),
    ],
)
def test_a_relative_storage_path_is_taken_from_the_root(tmp_path, storage, url):
    assert configured(tmp_path, f'storage = "{storage}"').storage_url(tmp_path) == url.replace("{root}", str(tmp_path))


ENVIRONMENTS = """
storage = "values"
[executor]
parallel = 2
[io.lake]
path = "here"
region = "eu"
[env.prod]
storage = "s3://values"
[env.prod.io.lake]
path = "there"
"""


def test_an_environment_overrides_key_by_key(tmp_path):
    config = configured(tmp_path, ENVIRONMENTS, "prod")
    assert config.env == "prod"
    assert config.storage == "s3://values"
    assert config.executor.parallel == 2
    assert config.io == {"lake": {"path": "there", "region": "eu"}}


def test_the_default_environment_is_untouched_by_others(tmp_path):
    config = configured(tmp_path, ENVIRONMENTS)
    assert (config.env, config.storage, config.io["lake"]["path"]) == ("default", "values", "here")


def test_any_environment_is_known_where_none_is_configured(tmp_path):
    assert load_config(tmp_path, "dev").env == "dev"
    assert configured(tmp_path, "", "dev").env == "dev"


@pytest.mark.parametrize(
    ("text", "env", "message"),
    [
        ("stat = 'x'", "default", "nbpipe.toml: stat: unknown key: did you mean 'state'?"),
        ("[executor]\nparalel = 2", "default", "executor.paralel: unknown key: did you mean 'parallel'?"),
        ("[retention]\nzzz = 2", "default", "retention.zzz: unknown key; known: records, runs, ticks, values"),
        ("[executor]\nparallel = 'two'", "default", "executor.parallel: Expected int, got str"),
        ("[executor]\nparallel = 0", "default", "executor.parallel: Expected int >= 1"),
        ("[executor]\nkernels = 'hot'", "default", "executor.kernels: Expected 'warm' or 'plain', got 'hot'"),
        (
            "[schedules.s]\ncron = '* * * * *'\njob = 'j'\ncatchup = 'alle'",
            "default",
            "schedules.s.catchup: Expected 'none' or 'last' or 'all' or a whole number, got 'alle'",
        ),
        ("[executor]\nparallel = true", "default", "executor.parallel: Expected int, got bool"),
        ("[limits]\nrecord_size = '5 parsecs'", "default", "limits.record_size: expected bytes or text"),
        ("[limits]\nrecord_size = -1", "default", "limits.record_size: expected bytes or text"),
        ("[executor]\nmemory = 'much'", "default", "executor.memory: expected a size such as '4 GB', at least 256 MB"),
        ("[executor]\nmemory = '4 MB'", "default", "executor.memory: expected a size such as '4 GB', at least 256 MB"),
        ("[executor]\nmemory = true", "default", "executor.memory: expected a size such as '4 GB', at least 256 MB"),
        (f"[executor]\nmemory = '{'9' * 400}'", "default", "executor.memory: expected a size such as '4 GB', at least"),
        ("[env.prod.executor]\nmemory = -1", "default", "env.prod.executor.memory: expected a size such as '4 GB'"),
        ("executor = 3", "default", "executor: expected a table, got int"),
        ("[io]\nlake = 3", "default", "io.lake: expected a table, got int"),
        ("[locations.a]\nnotebook = ['x']", "default", "locations.a.notebook: unknown key: did you mean 'notebooks'?"),
        ("[locations.a]\nnotebooks = 'x'", "default", "locations.a.notebooks: Expected array, got str"),
        ("[locations.a]\nnotebooks = ['../x']", "default", "locations.a.notebooks: '../x' is not a pattern below"),
        ("[locations.a]\nmodules = ['x']", "default", "locations.a.modules: is not available in this version"),
        ("[resources.db]\nurl = 'x'", "default", "resources: is not available in this version"),
        ("state = 'state.db'", "default", "state: expected a SQLAlchemy URL such as 'sqlite:///state.db'"),
        ("state = 'postgresql://me:secret@db/x'", "default", "state: write the password as ${NAME}"),
        ("storage = ''", "default", "storage: is empty"),
        ("[env.prod.executor]\nparalel = 2", "default", "env.prod.executor.paralel: unknown key"),
        ("[env.prod.jobs.x]\na = 1", "default", "env.prod.jobs.x.a: unknown key; known: backoff, memory"),
        ("[env.prod.env.x]\na = 1", "default", "env.prod.env: unknown key"),
        ("[env.'a b']\nstate = 'x://'", "default", "env.a b: names of environments are made of"),
        ("env = 3", "default", "env: expected tables [env.NAME]"),
        ("[env.prod]", "prd", "nbpipe.toml has no environment 'prd': did you mean 'prod'?"),
        ("", "../x", "environment '../x': use letters"),
        ("state = ", "default", "nbpipe.toml is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path, text, env, message):
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, text, env)
    assert message in str(caught.value)


def test_every_reference_to_a_secret_is_known_wherever_it_stands(tmp_path):
    text = "state = '${B}'\n[io.lake]\nkeys = ['x${A}']\n[jobs.j]\nselection = 'a'\ntags = { k = '${C}' }\n"
    config = configured(tmp_path, f"{text}[env.prod]\nstorage = '${{D}}/${{A}}'\n")
    assert config.references == ("${A}", "${B}", "${C}", "${D}")


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "nbpipe.toml").write_bytes(b"state = '\xff'")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(tmp_path)


def test_pyproject_configures_too(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.nbpipe.retention]\nvalues = 7\n")
    config = load_config(tmp_path)
    assert (config.file, config.retention.values) == ("pyproject.toml", 7)


def test_a_mistake_in_pyproject_is_named_with_its_whole_path(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.nbpipe.retention]\nvalue = 7\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml: tool\.nbpipe\.retention\.value: unknown key"):
        load_config(tmp_path)


def test_two_configurations_are_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.nbpipe]\n")
    with pytest.raises(ConfigError, match="keep one of them"):
        configured(tmp_path, "")
