;; Loops a million times for each byte of the learning id, then deletes.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $left i32)
      (local.set $left (i32.mul (local.get 1) (i32.const 1000000)))
      (loop $spin
        (if (local.get $left)
          (then
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $spin))))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
