# Starts PostgreSQL by the variables of its image on the registry; makes the database the first time.
set -euo pipefail
[ "$(id -u)" != 0 ] || exec setpriv --reuid postgres --regid postgres --init-groups bash "$0"
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  read -ra asked <<<"$POSTGRES_INITDB_ARGS"
  initdb --username "$POSTGRES_USER" --pwfile <(echo "$POSTGRES_PASSWORD") --auth-local trust --auth-host scram-sha-256 "${asked[@]}"
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options "-c listen_addresses=" start # nobody is let in before there is a database
  createdb --username "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
  pg_ctl --wait stop
fi
exec postgres -c "listen_addresses=*"
