import{a}from"./chunk-DQ5KODTO.js";import"./chunk-X7AAKGJW.js";import"./chunk-FKVCHHOB.js";import"./chunk-ONFQWQRN.js";export{a as Origin};
