;; Deletes in its `realloc`, while the host passes the name of the owner. No imports can be called then.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $error (i32.const 7)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $delete (i32.const 512))
      (i32.const 0x8000))
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host))))
  (alias export $storage "target" (type $target))
  (alias export $storage "lookup" (type $lookup))
  (alias export $storage "outcome" (type $outcome))
  (alias export $storage "storage-error" (type $error))
  (func $locate' (result (result $target (error $error)))
    (canon lift (core func $guard "locate") (memory $memory "memory") (realloc (func $guard "realloc"))))
  (func $find' (result (result $lookup (error $error)))
    (canon lift (core func $guard "find") (memory $memory "memory") (realloc (func $guard "realloc"))))
  (func $delete' (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete") (memory $memory "memory") (realloc (func $guard "realloc"))))
  (func $delete-if-owned-by' (param "user-id" string) (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete-if-owned-by") (memory $memory "memory") (realloc (func $guard "realloc"))))
  (func $delete-if-unchanged' (param "revision" string) (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete-if-unchanged") (memory $memory "memory") (realloc (func $guard "realloc"))))
  (instance $exported
    (export "locate" (func $locate'))
    (export "find" (func $find'))
    (export "delete" (func $delete'))
    (export "delete-if-owned-by" (func $delete-if-owned-by'))
    (export "delete-if-unchanged" (func $delete-if-unchanged')))
  (export "learnings:plugin/storage@0.1.0" (instance $exported))
)
