import{a,b}from"./chunk-O6J2GDVP.js";import"./chunk-PWXAW3PP.js";import"./chunk-YGLY2FDH.js";import"./chunk-FMMZFKEF.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
