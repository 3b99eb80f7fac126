/* spoil_state DATA-DIRECTORY PARTICIPANT: adds one micro-euro to a balance in a stopped node's
 * database, under a right checksum, so that the node's own execution differs from everybody else's
 * from then on: what a miscompiled binary or bad memory would do (fault scenario 52).
 *
 * Deliberately absent: the state tree. Its root changes with the next transaction that touches the
 * balance, which is when the node must notice. */
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#include "contracts/records.h"
#include "storage/checksum.h"

static bool change(MDB_txn *txn, MDB_dbi table, struct state_key key)
{
    MDB_val at = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val found;
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    struct pot_record pot;
    struct byte_writer writer;
    if (mdb_get(txn, table, &at, &found) != MDB_SUCCESS || found.mv_size < CHECKSUM_SIZE) {
        return false;
    }
    const size_t size = found.mv_size - CHECKSUM_SIZE;
    if (!codec_decode_all(&pot_record_codec, &pot, bytes_view_of(found.mv_data, size))) {
        return false;
    }
    pot.amount = money_of(money_ueur(pot.amount) + 1);
    byte_writer_init(&writer, bytes, sizeof bytes - CHECKSUM_SIZE);
    codec_encode(&pot_record_codec, &pot, &writer);
    checksum_write(bytes + writer.size, checksum_record(bytes_view_of(key.bytes, key.size),
                                                        bytes_view_of(bytes, writer.size)));
    MDB_val changed = {.mv_size = writer.size + CHECKSUM_SIZE, .mv_data = bytes};
    return mdb_put(txn, table, &at, &changed, 0) == MDB_SUCCESS;
}

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi table;
    struct name participant;
    if (argc != 3 || !name_from_text(&participant, argv[2], strlen(argv[2]))) {
        return 2;
    }
    const bool changed = mdb_env_create(&env) == MDB_SUCCESS &&
                         mdb_env_set_maxdbs(env, 16) == MDB_SUCCESS &&
                         mdb_env_open(env, argv[1], MDB_NOTLS, 0600) == MDB_SUCCESS &&
                         mdb_txn_begin(env, NULL, 0, &txn) == MDB_SUCCESS &&
                         mdb_dbi_open(txn, "state", 0, &table) == MDB_SUCCESS &&
                         change(txn, table, state_key_pot(POT_BALANCE, &participant, 0)) &&
                         mdb_txn_commit(txn) == MDB_SUCCESS;
    if (!changed) {
        fputs("spoil_state: no such balance, or no such database\n", stderr);
    }
    mdb_env_close(env);
    return changed ? 0 : 1;
}
