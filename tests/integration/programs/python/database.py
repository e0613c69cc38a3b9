"""sqlite3 in memory and on a file."""

import os
import sqlite3
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "test.db")
    db = sqlite3.connect(path)
    db.execute("create table t(id integer primary key, name text, value real)")
    with db:
        db.executemany("insert into t values(?, ?, ?)", ((i, f"name-{i % 100}", i * 1.5) for i in range(20_000)))
    db.execute("create index by_name on t(name)")
    print(db.execute("select name, count(*), sum(value) from t group by name order by name limit 5").fetchall())
    try:
        with db:
            db.execute("delete from t where id < 10000")
            raise KeyError("roll back")
    except KeyError:
        pass
    print(db.execute("select count(*) from t").fetchone(), db.execute("pragma integrity_check").fetchone())
    db.execute("pragma journal_mode=wal")
    with db:
        db.execute("update t set value = value + 1")
    second = sqlite3.connect(path)
    print(second.execute("select total(value) from t").fetchone(), sorted(os.listdir(folder))[0])
    second.close()
    db.close()
memory = sqlite3.connect(":memory:")
memory.create_function("double", 1, lambda x: x * 2)
print(
    memory.execute(
        "with recursive n(i) as (select 1 union all select i+1 from n where i < 1000) select sum(double(i)) from n"
    ).fetchone()
)
