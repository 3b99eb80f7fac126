/* hold_reader DIRECTORY: a process that reads a node's chain database beside it, as a backup or an
 * audit on the same machine may, and keeps its snapshot until it is killed (fault scenario 32).
 *
 * Prints "held" once the snapshot is open. Deliberately absent: reading anything. That a slot of the
 * reader table names a transaction is what keeps LMDB from using pages again. */
#include <lmdb.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    int code = argc == 2 ? mdb_env_create(&env) : MDB_INVALID;
    if (code == MDB_SUCCESS) {
        code = mdb_env_open(env, argv[1], MDB_RDONLY, 0);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    }
    if (code != MDB_SUCCESS) {
        fprintf(stderr, "hold_reader: %s\n", mdb_strerror(code));
        return 1;
    }
    puts("held");
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}
