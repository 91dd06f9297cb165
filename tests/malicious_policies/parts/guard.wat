    (import "host" "memory" (memory $memory 1))
    (import "host" "locate" (func $locate (param i32)))
    (import "host" "find" (func $find (param i32)))
    (import "host" "delete" (func $delete (param i32)))
    (import "host" "delete-if-owned-by" (func $delete-if-owned-by (param i32 i32 i32)))
    (import "host" "delete-if-unchanged" (func $delete-if-unchanged (param i32 i32 i32)))
    ;; Memory layout: results of reads at 0, results of deletes at 512, answers of the guard at 1024, strings from 2048.
    ;; An exported function returns a result in the layout in which the host wrote it, so it can return its address.
    ;; A found record begins at 16: the user id is at 36, the content at 120, the metadata at 128, the revision at 168.
    (data (i32.const 2048) "Not now")
    (data (i32.const 2056) "mallory")
    (data (i32.const 2064) "alice")
    ;; Writes this outcome as the answer to a delete: 0 absent, 1 unowned, 2 owned-by-another, 3 changed, 4 deleted.
    (func $outcome (param $outcome i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1028) (local.get $outcome))
      (i32.const 1024))
    ;; Writes an error as the answer to a delete or to `locate`: 3 unknown-database, 6 denied, 7 unavailable,
    ;; 8 outcome-unknown, 9 internal.
    (func $error (param $kind i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store8 (i32.const 1028) (local.get $kind))
      (i32.store (i32.const 1032) (i32.const 2048))
      (i32.store (i32.const 1036) (i32.const 7))
      (i32.const 1024))
    ;; Writes an error as the answer to `find`.
    (func $find-error (param $kind i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store8 (i32.const 1032) (local.get $kind))
      (i32.store (i32.const 1036) (i32.const 2048))
      (i32.store (i32.const 1040) (i32.const 7))
      (i32.const 1024))
