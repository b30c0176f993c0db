-- The types that go wrong between databases, JSON and doubles, and the values that do.
CREATE TYPE mood AS ENUM ('calm', 'cross');

CREATE TABLE odd (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id text,
    big bigint,
    small smallint,
    price numeric(38, 9),
    plain numeric,
    ratio double precision,
    single real,
    flag boolean,
    note text,
    code char(5),
    uid uuid,
    doc jsonb,
    doc_json json,
    tags text[],
    numbers int[],
    prices numeric(10, 2)[],
    days date[],
    moments timestamptz[],
    raw bytea,
    clock time,
    clock_tz timetz,
    day date,
    naive timestamp,
    moment timestamptz,
    span interval,
    feeling mood,
    bits bit(1),
    bits8 bit(8),
    cash money,
    net inet,
    mac macaddr,
    range int4range
);

-- Rows that are the same in every run, all of them different.
CREATE FUNCTION grow(first_id bigint, last_id bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO odd
    SELECT
        i,
        timestamptz '2026-10-02 00:00+00' + i * interval '61.001 s',
        'user-' || i % 50,
        r,
        i % 30000,
        r / 1000000000.0,
        (r % 1000000000000)::numeric / (i + 1),
        r::float8 / i / 1000000,
        (r % 100000)::real / 7,
        i % 3 = 0,
        h || ' ' || chr((200 + i % 5000)::int) || ' ' || chr(128512) || E' "\\\n\t',
        substr(h, 1, (1 + i % 5)::int),
        h::uuid,
        jsonb_build_object('a', jsonb_build_object('b', jsonb_build_array(i, h)), 'n', NULL, 'x', i / 8.0),
        json_build_object('list', json_build_array(i, h, i % 2 = 0)),
        ARRAY[h, 'a,b', '{"c"}', ''],
        ARRAY[i, -i]::int[],
        ARRAY[i / 100.0, -i]::numeric(10, 2)[],
        ARRAY[date '2026-01-01' + (i % 365)::int],
        ARRAY[timestamptz '2026-01-01 00:00+02' + i * interval '1 hour'],
        decode(h, 'hex'),
        time '00:00' + i * interval '97 s',
        timetz '00:00+02' + i * interval '97 s',
        date '1990-01-01' + (i % 20000)::int,
        timestamp '1990-01-01' + i * interval '1 day 61.5 s',
        timestamptz '1990-01-01 00:00+05:30' + i * interval '1 day 61.5 s',
        i * interval '1 h 1 s',
        (ARRAY['calm', 'cross'])[1 + i % 2]::mood,
        (i % 2)::int::bit(1),
        (i % 256)::int::bit(8),
        (i / 100.0)::numeric::money,
        ('10.0.' || i % 256 || '.1')::inet,
        macaddr '08:00:2b:01:02:03',
        int4range(1, 1 + i::int)
    FROM generate_series(first_id, last_id) AS i,
        LATERAL (SELECT md5(i::text)) AS m (h),
        LATERAL (SELECT ('x' || substr(h, 1, 16))::bit(64)::bigint) AS b (r)
$$;
SELECT grow(101, 600);

INSERT INTO odd VALUES
(1, '2026-10-01 12:00:00.123456+02', 'ada', 9007199254740993, 7,
 12345678901234567890123456789.123456789, 1e-20, 0.1, 0.1, true, 'Grüße', 'ab',
 '00000000-0000-4000-8000-000000000001', '{"a": {"b": [1, 2]}, "t": "x", "big": 9007199254740993}',
 '{"list": [1, 2]}', '{a,"b c"}', '{1,2}', '{1.50,2.25}', '{2026-01-01}', '{2026-01-01T00:00:00+02}',
 '\xdeadbeef', '13:45:00', '13:45:00+02', '2026-02-28', '2026-02-28 23:59:59',
 '2026-02-28 23:59:59+05:30', '3 days 04:05:06', 'calm', B'1', B'10101010', '12.34',
 '10.0.0.0/8', '08:00:2b:01:02:03', '[1,5)'),
(2, '2026-10-01 12:00:01+00', '', -9007199254740993, -7, 0.000000001, 'NaN', 'Infinity', 'NaN',
 false, '', '', NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '', '24:00:00', '00:00:00-12',
 '0001-01-01', 'infinity', 'infinity', '-1 day', 'cross', B'0', B'00000000', '-0.01', '::1', NULL,
 'empty');
INSERT INTO odd (id, at) VALUES (3, '2026-10-01 12:00:02+00');
INSERT INTO odd (id, at, user_id, big, price, day, naive, moment, ratio) VALUES
(4, '2026-10-01 12:00:03-03:30', 'eve', 9007199254740992, -1, 'infinity', '-infinity', '-infinity', 'NaN'),
(5, '2026-10-01 12:00:03+00', 'eve', -9223372036854775808, 9999999999999999999999999999.999999999,
 '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.9999+00', '-Infinity'),
(6, '2026-10-01 12:00:04+00', 'eve', 9223372036854775807, 0, '1969-12-31', '1969-12-31 23:59:59',
 '0099-01-01 00:00+00', 1e300);

-- Rows that break the schemas which the taps themselves write for them.
CREATE TABLE broken (
    id bigint PRIMARY KEY, at timestamptz NOT NULL, doc jsonb, tags text[], grid int[][]
);
INSERT INTO broken VALUES
(1, '2026-10-01 00:00+00', '{"fine": true}', '{fine}', '{1}'),
(2, '2026-10-01 00:00+00', '3', '{fine}', '{1}'),
(3, '2026-10-01 00:00+00', '{"fine": true}', '{a,NULL}', '{1}'),
(4, '2026-10-01 00:00+00', '{"fine": true}', '{fine}', '{{1,2},{3,4}}'),
(5, '2026-10-01 00:00+00', '[1]', '{fine}', '{1}');
