    ;; Forwards the deletes that the default policy does not call for a caller like the one of the tests.
    (func (export "delete") (result i32) (call $delete (i32.const 512)) (i32.const 512))
    (func (export "delete-if-unchanged") (param i32 i32) (result i32)
      (call $delete-if-unchanged (local.get 0) (local.get 1) (i32.const 512))
      (i32.const 512))
