;; Exports `storage` without `delete-if-owned-by`.
;; Expected: load error.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-deletes
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host))))
  (alias export $storage "target" (type $target))
  (alias export $storage "lookup" (type $lookup))
  (alias export $storage "outcome" (type $outcome))
  (alias export $storage "storage-error" (type $error))
  (func $locate' (result (result $target (error $error)))
    (canon lift (core func $guard "locate") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (func $find' (result (result $lookup (error $error)))
    (canon lift (core func $guard "find") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (func $delete' (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (func $delete-if-owned-by' (param "user-id" string) (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete-if-owned-by") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (func $delete-if-unchanged' (param "revision" string) (result (result $outcome (error $error)))
    (canon lift (core func $guard "delete-if-unchanged") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (instance $exported
    (export "locate" (func $locate'))
    (export "find" (func $find'))
    (export "delete" (func $delete'))
    (export "delete-if-unchanged" (func $delete-if-unchanged')))
  (export "learnings:plugin/storage@0.1.0" (instance $exported))
)
